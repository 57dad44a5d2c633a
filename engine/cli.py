"""The tree of commands, and the way in."""

from collections.abc import Sequence

from .. import __version__
from . import (
    bench_command,
    cache_commands,
    callers_command,
    catalog_commands,
    check_commands,
    commands,
    config_command,
    dashboard_command,
    export_commands,
    housekeeping_commands,
    labs_analyze_command,
    labs_command,
    labs_demo_command,
    labs_export_command,
    labs_history_command,
    regret_command,
    report_command,
    rerun_commands,
    serve_command,
    session_command,
    surface_command,
    sweep_command,
    traces_command,
    traces_queries_command,
    traces_surface_command,
)
from .shell import run

TREE = {
    "baseline": commands.baseline,
    "strategy": commands.strategy,
    "sweep": sweep_command.sweep,
    "surface": surface_command.surface,
    "callers": callers_command.callers,
    "regret": regret_command.regret,
    "report": report_command.report,
    "runs": {
        "list": commands.runs_list,
        "show": commands.runs_show,
        "verify": rerun_commands.runs_verify,
        "rerun": rerun_commands.runs_rerun,
        "diff": rerun_commands.runs_diff,
        "export": export_commands.runs_export,
        "gc": housekeeping_commands.runs_gc,
        "prune": housekeeping_commands.runs_prune,
        "archive": housekeeping_commands.runs_archive,
        "restore": housekeeping_commands.runs_restore,
    },
    "slices": {
        "list": commands.slices_list,
        "build": commands.slices_build,
        "coverage": commands.slices_coverage,
        "verify": commands.slices_verify,
        "export": commands.slices_export,
    },
    "cache": {"list": cache_commands.cache_list, "clear": cache_commands.cache_clear},
    "data": {"check": commands.data_check, "synth": commands.data_synth},
    "check": {"lookahead": check_commands.check_lookahead, "trades": check_commands.check_trades},
    "catalog": {
        "sync": catalog_commands.sync,
        "query": catalog_commands.query,
        "sql": catalog_commands.sql,
        "path": catalog_commands.path,
    },
    "traces": {
        "strategies": traces_command.traces_strategies,
        "run": traces_command.traces_run,
        "query": traces_queries_command.query,
        "find": traces_queries_command.find,
        "load": traces_queries_command.load,
        "show": traces_queries_command.show,
        "duplicates": traces_queries_command.duplicates,
        "parameters": traces_queries_command.parameters,
        "compare": traces_queries_command.compare,
        "surface": traces_surface_command.surface,
        "export": traces_command.traces_export,
        "migrate": traces_command.traces_migrate,
    },
    "labs": {
        "list": labs_command.list_,
        "sync": labs_command.sync,
        "watch": labs_command.watch,
        "analyze": labs_analyze_command.analyze,
        "report": labs_analyze_command.report,
        "export": labs_export_command.export,
        "cutoffs": labs_history_command.cutoffs,
        "demo": labs_demo_command.demo,
        "serve": labs_demo_command.serve,
    },
    "config": {"show": config_command.config_show},
    "backtest": session_command.backtest,
    "dashboard": dashboard_command.dashboard,
    "serve": serve_command.serve,
    "demo": commands.demo,
    "bench": bench_command.bench,
    "optimizer": sweep_command.sweep,
}


session_command.backtest.words = {  # type: ignore[attr-defined]
    "path-only": commands.baseline,
    "policy": commands.strategy,
    "catalog-sync": catalog_commands.sync,
    "catalog-query": catalog_commands.query,
}


def main(argv: Sequence[str]) -> int:
    """Return the exit code of the command line ``argv``."""
    return run(TREE, argv, version=__version__)
