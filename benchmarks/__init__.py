"""What a spiking draw costs and how faithful it is: ``python -m benchmarks.bench``."""
