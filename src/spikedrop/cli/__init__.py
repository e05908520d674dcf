"""The command line: ``spikedrop COMMAND``, or ``python -m spikedrop COMMAND``.

Exit codes: 0 done; 1 ``compare --require-equivalent`` found anything else; 2 something cannot be
used, said in one line on standard error; 130 interrupted. With ``--json`` standard output is one
JSON object. What takes long is imported by the commands, so that help and refusals are quick.
"""

from spikedrop.cli.app import app
from spikedrop.cli.demo import demo
from spikedrop.cli.energy import energy
from spikedrop.cli.judging import compare, score
from spikedrop.cli.making import simulate, train
from spikedrop.cli.sampling import sample
from spikedrop.cli.uci import uci

for command in (simulate, train, sample, compare, score, energy, uci, demo):
    app.command()(command)

__all__ = ["app"]
