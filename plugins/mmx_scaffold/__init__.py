"""``mmx plugins new``: a plugin of one small working part, as a package or as a single file.

``templates/KIND/`` holds real modules of a part called ``this-part``, which are linted, typed and tested like the rest
of the core; ``templates/package/`` holds what is the same for all kinds. Their names are replaced, nothing else.
"""
