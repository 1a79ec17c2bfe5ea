"""The stand-in RPM distribution and the base images made from it; see distro-rpm/README.md."""
