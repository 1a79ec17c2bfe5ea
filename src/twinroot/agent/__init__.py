"""The agent on the host: installs an image, updates the idle half of a machine, commits or rolls back."""
