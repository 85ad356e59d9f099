"""dp2 reads its configurations with these."""

import runpy


class Section(dict):
    __getattr__ = dict.__getitem__


class LazyConfig:
    @staticmethod
    def load(filename):
        return Section({name: value for name, value in runpy.run_path(filename).items() if name[0] != "_"})


def instantiate(section):
    if not isinstance(section, Section):
        return section
    arguments = {
        name: instantiate(value) for name, value in section.items() if name not in ("_target_", "_args_")
    }
    return section["_target_"](*section["_args_"], **arguments)
