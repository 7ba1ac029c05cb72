// SPDX-License-Identifier: MIT
// Leaves a virtual machine's virtio devices out of system suspend, as clocks and interrupt controllers are.
//
// Its root file system is 9p over virtio, whose driver cannot be suspended: virtio_device_restore() resets the device and
// nobody sets its queues up again, so the first file read after a suspend would wait for ever. Load it before a suspend.
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/pm.h>

static int __init start(void)
{
	struct pci_dev *device = NULL;

	while ((device = pci_get_device(PCI_VENDOR_ID_REDHAT_QUMRANET, PCI_ANY_ID, device)))
		dev_pm_syscore_device(&device->dev, true);
	return 0;
}

static void __exit stop(void)
{
	struct pci_dev *device = NULL;

	while ((device = pci_get_device(PCI_VENDOR_ID_REDHAT_QUMRANET, PCI_ANY_ID, device)))
		dev_pm_syscore_device(&device->dev, false);
}

module_init(start);
module_exit(stop);
MODULE_LICENSE("Dual MIT/GPL");
MODULE_DESCRIPTION("keeps virtio devices out of system suspend");
