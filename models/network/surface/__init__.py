"""How the start `surface` is taught: by another network, on textures (`python -m …surface`)."""
