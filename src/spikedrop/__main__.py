"""Run the command line as ``python -m spikedrop``."""

from spikedrop.cli import app

if __name__ == "__main__":
    app(prog_name="spikedrop")
