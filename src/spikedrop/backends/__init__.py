"""The same converted network elsewhere: on Nengo and NengoDL, and as NIR files.

Nengo 4 is GPLv2 and NengoDL is free for non-commercial use only, so nothing outside this
package imports them, and inside it only what runs on them.
"""
