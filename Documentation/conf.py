# SPDX-License-Identifier: GPL-2.0-only
# For those who have Sphinx: sphinx-build -b html Documentation build/html
# The kernel-doc directive is the kernel's own, from the source of a test kernel.
import os
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SOURCE = os.path.join(subprocess.run(
    [os.path.join(TOP, 'tools/vm/kernel'), '--kdir', 'base'],
    check=True, stdout=subprocess.PIPE).stdout.decode().strip(), 'source')
sys.path.insert(0, os.path.join(SOURCE, 'Documentation/sphinx'))

project = 'kmm'
extensions = ['kerneldoc']
kerneldoc_bin = os.path.join(SOURCE, 'scripts/kernel-doc')
kerneldoc_srctree = TOP
primary_domain = 'c'
highlight_language = 'none'
html_theme = 'classic'
