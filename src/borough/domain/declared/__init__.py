"""What is declared: dimensions, subnets, pools, hosts, topologies."""
