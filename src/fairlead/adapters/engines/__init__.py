"""Who works on the parts of a table: the threads of this process, or Ray."""
