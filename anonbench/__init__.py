"""anonbench: how consistent, realistic, diverse and private is a full-body anonymizer?"""

__version__ = "0.1.0"
