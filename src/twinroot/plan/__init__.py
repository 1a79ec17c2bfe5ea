"""What will be done: config and facts in, ordered printable steps out. Pure."""
