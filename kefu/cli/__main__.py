"""`python -m kefu.cli`, which `accelerate launch -m` needs."""

from kefu.cli import main

if __name__ == "__main__":
    main()
