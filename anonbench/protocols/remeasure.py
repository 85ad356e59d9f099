"""What an old record measured, measured now."""

import shlex
from dataclasses import replace
from itertools import pairwise

from anonbench.errors import UsageError
from anonbench.features.extractors import EXTRACTORS
from anonbench.protocols.runner import Plan, Request, resolve
from anonbench.records import Record

SYNTHETIC = "synthetic"


def plan_again(record: Record, data: str | None = None) -> Plan:
    """The request behind a record, resolved: its protocol, model, preset, seeds and extractors on the same data.

    data: as `--data` takes it; None: what the record's command names, or synthetic people.

    Raises UsageError where the protocol, the model or the data cannot be found, naming the record.
    """
    spec, _, outcomes = record.data.name.partition(", outcomes ")
    request = Request(
        protocol=record.protocol.name,
        model=option(record.command, "--model") or record.model.name,
        data=data or option(record.command, "--data") or spec.partition("/")[0],
        preset=record.protocol.preset,
        command=record.command,
        outcomes=outcomes,
        attacker=option(record.command, "--attacker") or "",
    )
    if data is None and spec.partition("/")[0] != SYNTHETIC and "=" not in request.data:
        raise UsageError(
            f"{record.slug}: its record does not say where the data lie; give --data {request.data}=PATH"
        )
    try:
        return _as_run(record, resolve(request))
    except UsageError as error:
        raise UsageError(
            f"{record.slug}: cannot be measured again: {error}; or give records of now: "
            "anonbench check BASELINE CURRENT"
        ) from error


def option(command: str, name: str) -> str | None:
    """The value of an option in a command line as typed; none where it is not given."""
    try:
        words = shlex.split(command)
    except ValueError:
        return None
    for word, following in pairwise([*words, None]):
        if word == name:
            return following
        if word and word.startswith(f"{name}="):
            return word.partition("=")[2]
    return None


def _as_run(record: Record, plan: Plan) -> Plan:
    """The plan with the record's seeds and extractors where its run left the preset."""
    request = plan.request
    if plan.model.card.latent_dim is not None and len(record.seeds) != plan.preset.seeds:
        request = replace(request, seeds=len(record.seeds))
    if set(record.extractors) != set(plan.extractor_digests):
        request = replace(request, extractors=tuple(name for name in record.extractors if name in EXTRACTORS))
    return plan if request == plan.request else resolve(request)
