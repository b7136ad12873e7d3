"""What `tramontane doctor` looks at: the machine, its folders, the hub, and the plugins."""
