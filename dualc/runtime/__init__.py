"""What runs kernels: loading them, and sharding over devices."""
