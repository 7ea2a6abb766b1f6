"""The command line: thin skins over the operations. Exit codes: 0 done or holds, 1 the answer is bad, 2 unusable input,
3 not decided or not measured."""
