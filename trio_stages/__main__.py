"""``python -m trio_stages``."""

import sys

from .cli import main

sys.exit(main())
