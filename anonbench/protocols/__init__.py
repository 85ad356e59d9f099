"""Protocols: what is sampled, anonymized and measured. One file each; `registry` lists them."""
