# SPDX-License-Identifier: GPL-2.0-only
# kmm: a memory manager in a module. "make help" lists the targets.

TOP := $(abspath $(dir $(lastword $(MAKEFILE_LIST))))
B := $(TOP)/build

# KERNEL=base|debug|stock builds for a test kernel of tools/vm, KDIR=... for any other.
# Neither: the running kernel's headers when they are installed, else the VM's kernel.
KERNEL ?=
KDIR ?=
ifeq ($(KERNEL)$(KDIR),)
  ifneq ($(wildcard /lib/modules/$(shell uname -r)/build/Makefile),)
    KDIR := /lib/modules/$(shell uname -r)/build
    NAME := host
  else
    KERNEL := base
  endif
endif
ifneq ($(KERNEL),)
  NAME := $(KERNEL)
  # asked for when it is needed only: it may build a kernel
  kdir = $$($(TOP)/tools/vm/kernel --kdir $(KERNEL))
else
  NAME ?= host
  kdir = $(KDIR)
endif
O := $(B)/$(NAME)

# base is what we write against: there the compiler warns of more, and a warning is an error.
ifeq ($(KERNEL),base)
  W := 1
  strict := KCFLAGS=-Werror
endif

# Objects of another kernel, or of an earlier build of this one, must go: kbuild does not see it.
same_kernel = [ "$$(cat $(O)/.kdir 2>/dev/null)" = "$$kdir" ] || \
  { find $(O) -type f ! -name '*.lock' -delete; echo "$$kdir" >$(O)/.kdir; }

SOURCES := Kbuild $(wildcard *.c) compat include region buddy slab vmap vm policy swap share dev debug kunit tools/bench
Q := $(if $(V),,@)

all: modules user			## kmm.ko here, those of the tests, build/kmm (default)
	$(Q)cp $(O)/*.ko $(TOP)/

modules: farm				## modules for KERNEL=base|debug|stock or KDIR=..., into build/NAME/
	$(Q)kdir=$(kdir) && [ -n "$$kdir" ] && { $(same_kernel); } && \
	  $(MAKE) --no-print-directory -C "$$kdir" M=$(O) W=$(W) C=$(C) CF="$(CF)" $(strict) modules
	$(Q)$(TOP)/tools/vm/btf $(or $(KERNEL),/sys/kernel/btf/vmlinux) $(O)/*.ko

# One folder of links per kernel, so that the object files of three kernels do not mix.
farm:
	$(Q)mkdir -p $(O) && cd $(TOP) && \
	  for s in $(wildcard $(SOURCES)); do mkdir -p $(O)/$$(dirname $$s); cp -rsf $(TOP)/$$s $(O)/$$(dirname $$s)/; done; \
	  find $(O) -xtype l -delete

user:					## build/kmm and the programs under tools/
	$(Q)$(MAKE) --no-print-directory -C tools

install: user				## build/kmm, libkmm and the udev rule; PREFIX=/usr/local DESTDIR=
	$(Q)$(MAKE) --no-print-directory -C tools install

modules_install: modules		## kmm.ko and its tests for KERNEL or KDIR; INSTALL_MOD_PATH=
	$(Q)kdir=$(kdir) && $(MAKE) --no-print-directory -C "$$kdir" M=$(O) modules_install

clean:					## remove build/ and the modules here
	$(Q)rm -rf $(B) $(TOP)/*.ko

demo:					## the tour: set up this machine, boot the VM, load kmm, look around
	@tools/vm/setup
	@$(MAKE) --no-print-directory user
	@tools/vm/run --kernel base -- tools/demo.sh

# What a fresh machine lacks: Debian's packages, then the test kernels (25 minutes, once).
ready = tools/vm/setup && for k in base debug stock; do tools/vm/kernel $$k >/dev/null || exit 1; done

check:					## everything: static checks, harness, VMs of three kernels (11 minutes without KVM, then 10)
	@$(ready)
	@tools/checks/run check

soak:					## the same with the full counts (hours without KVM)
	@$(ready)
	@tools/checks/run soak

bench:					## kmm against the host's allocators, into build/bench.json
	@$(ready)
	@$(MAKE) --no-print-directory user
	@tools/bench/run

help:					## this text
	@sed -n 's/^\([a-z_]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 20

.PHONY: all modules farm user install modules_install clean demo check soak bench help
