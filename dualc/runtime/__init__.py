"""What runs kernels: loading them, and (to come) features and sharding."""
