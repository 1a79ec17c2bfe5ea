"""What files of a Linux system mean, for the builder and the agent alike: accounts, keys, kernel modules, SELinux."""
