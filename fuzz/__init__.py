"""Any bytes against the framing and the event parser: ``nox -s fuzz``.

- ``targets``: what must hold, whatever the input; a broken rule is an AssertionError.
- ``engines``: who thinks of the inputs: atheris, guided by coverage, or else Hypothesis.
- ``corpus/<target>/``: inputs worth keeping. The tests replay them, and whatever breaks a rule is
  written there by the engine, so that it stays broken until it is cured.
"""
