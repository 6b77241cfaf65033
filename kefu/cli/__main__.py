"""`python -m kefu.cli`, which `accelerate launch -m` needs."""

from kefu.cli import main

main()
