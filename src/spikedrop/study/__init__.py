"""What the chapters alone compute and draw: running example, controls, studies, figures."""
