"""The command line. Modules here import only typer at the top: ``mmx --help`` must be quick."""
