"""Pictures of compiled activations: sampled with JAX, drawn without it."""
