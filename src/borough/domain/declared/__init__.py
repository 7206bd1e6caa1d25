"""Declared objects: dimensions, subnets, pools, hosts, topologies."""
