// SPDX-License-Identifier: MIT
// Gives a virtual machine live RAPL energy registers, so that the kernel's own, unchanged intel_rapl driver runs on them.
//
// The functions through which that driver reads model-specific registers are watched with return probes, and the
// answers for RAPL's registers (Intel SDM volume 4, MSR_RAPL_POWER_UNIT and following) are replaced. Each counter is
// the integral of its power, settable while running: /sys/module/fake_rapl_msr/parameters/{package,core,dram}_microwatts.
// Load it before intel_rapl_msr, which drops domains whose counter reads 0. Needs a guest CPU that has RAPL (SandyBridge).
#include <linux/kprobes.h>
#include <linux/ktime.h>
#include <linux/math64.h>
#include <linux/module.h>
#include <linux/spinlock.h>

#define POWER_UNIT 0x606 // 1/8 W, 2^-14 J, 976 us
#define PACKAGE_LIMIT 0x610
#define PACKAGE_INFO 0x614
#define COUNTS_PER_JOULE 16384

struct domain {
	u32 msr;
	ulong microwatts;
	u64 nanojoules;
	u64 since_ns;
};

static struct domain domains[] = {
	{ .msr = 0x611, .microwatts = 15000000 }, // package
	{ .msr = 0x639, .microwatts = 9000000 },  // core
	{ .msr = 0x619, .microwatts = 1500000 },  // dram
};
static DEFINE_SPINLOCK(lock);

// what all counters began at; set it while running to bring them close to the end of their 32 bits
static ulong first_count = 1000000;
module_param(first_count, ulong, 0644);

static void integrate(struct domain *domain)
{
	u64 microseconds = div64_u64(ktime_get_ns() - domain->since_ns, 1000);

	domain->nanojoules += div64_u64((u64)domain->microwatts * microseconds, 1000);
	domain->since_ns += microseconds * 1000;
}

static int set_microwatts(const char *text, const struct kernel_param *param)
{
	struct domain *domain = container_of((ulong *)param->arg, struct domain, microwatts);
	unsigned long flags, microwatts;
	int error = kstrtoul(text, 0, &microwatts);

	if (error)
		return error;
	spin_lock_irqsave(&lock, flags);
	if (domain->since_ns)
		integrate(domain);
	domain->microwatts = microwatts;
	spin_unlock_irqrestore(&lock, flags);
	return 0;
}

static const struct kernel_param_ops microwatts_ops = { .set = set_microwatts, .get = param_get_ulong };
module_param_cb(package_microwatts, &microwatts_ops, &domains[0].microwatts, 0644);
module_param_cb(core_microwatts, &microwatts_ops, &domains[1].microwatts, 0644);
module_param_cb(dram_microwatts, &microwatts_ops, &domains[2].microwatts, 0644);

static bool answer(u32 msr, u64 *value)
{
	unsigned long flags;
	int i;

	switch (msr) {
	case POWER_UNIT:
		*value = 0xA0E03;
		return true;
	case PACKAGE_LIMIT:
		*value = 0x00428168001480F0ULL;
		return true;
	case PACKAGE_INFO:
		*value = 0x78; // 15 W
		return true;
	}
	for (i = 0; i < ARRAY_SIZE(domains); i++) {
		if (domains[i].msr != msr)
			continue;
		spin_lock_irqsave(&lock, flags);
		integrate(&domains[i]);
		*value = first_count + div64_u64(domains[i].nanojoules * COUNTS_PER_JOULE, 1000000000ULL);
		spin_unlock_irqrestore(&lock, flags);
		*value &= 0xffffffff;
		return true;
	}
	return false;
}

// Both probed functions take (cpu, msr, ...): where the answer goes is remembered on the way in.
struct call {
	u32 msr;
	u64 *whole;
	u32 *low, *high;
};

static int enter_whole(struct kretprobe_instance *instance, struct pt_regs *regs)
{
	struct call *call = (void *)instance->data;

	*call = (struct call){ .msr = regs->si, .whole = (u64 *)regs->dx };
	return 0;
}

static int enter_halves(struct kretprobe_instance *instance, struct pt_regs *regs)
{
	struct call *call = (void *)instance->data;

	*call = (struct call){ .msr = regs->si, .low = (u32 *)regs->dx, .high = (u32 *)regs->cx };
	return 0;
}

static int leave(struct kretprobe_instance *instance, struct pt_regs *regs)
{
	struct call *call = (void *)instance->data;
	u64 value;

	if (!answer(call->msr, &value))
		return 0;
	if (call->whole) {
		*call->whole = value;
	} else {
		*call->low = value;
		*call->high = value >> 32;
	}
	regs->ax = 0; // no fault
	return 0;
}

static struct kretprobe whole = {
	.kp.symbol_name = "rdmsrl_safe_on_cpu",
	.entry_handler = enter_whole,
	.handler = leave,
	.data_size = sizeof(struct call),
	.maxactive = 64,
};
static struct kretprobe halves = {
	.kp.symbol_name = "rdmsr_safe_on_cpu",
	.entry_handler = enter_halves,
	.handler = leave,
	.data_size = sizeof(struct call),
	.maxactive = 64,
};

static int __init start(void)
{
	int i, error;

	for (i = 0; i < ARRAY_SIZE(domains); i++)
		domains[i].since_ns = ktime_get_ns();
	error = register_kretprobe(&whole);
	if (error)
		return error;
	error = register_kretprobe(&halves);
	if (error)
		unregister_kretprobe(&whole);
	return error;
}

static void __exit stop(void)
{
	unregister_kretprobe(&halves);
	unregister_kretprobe(&whole);
}

module_init(start);
module_exit(stop);
MODULE_LICENSE("Dual MIT/GPL");
MODULE_DESCRIPTION("live RAPL registers for intel_rapl in a virtual machine");
