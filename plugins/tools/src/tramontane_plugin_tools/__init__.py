"""How families of models write tool calls and reasoning. One module per syntax."""
