"""Let trained weights ship: what separation needs, in the layout of the hub, with a card."""
