"""The stress lab: every table of the document, side by side with ours, and what explains them."""
