"""Attribution methods: one file each, all reached through `registry`."""
