"""What only the chapters compute and draw: running example, controls, studies, figures."""

__all__: list[str] = []
