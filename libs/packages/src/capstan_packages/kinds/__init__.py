"""The kinds of package: one file each, found by name among the entry points of `capstan.package_kinds`."""
