"""`python -m optc`: the same as the command `optc`."""

from optc.cli.main import main

if __name__ == "__main__":
    raise SystemExit(main())
