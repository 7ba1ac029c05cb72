// SPDX-License-Identifier: MIT
// Two batteries and a mains adapter in /sys/class/power_supply, every value of which is a module parameter.
//
// BAT0 speaks in energy (energy_now, power_now), BAT1 in charge (charge_now, current_now), as the two kinds of gauges do.
// A value of INT_MIN makes its attribute fail with ENODATA. Set them in /sys/module/fake_batteries/parameters, in the
// class's own units (microvolts, microamps, microwatts, microwatt-hours, microamp-hours).
#include <linux/err.h>
#include <linux/module.h>
#include <linux/power_supply.h>

#define SETTABLE(name, value)   \
	static int name = value; \
	module_param(name, int, 0644)

SETTABLE(status, POWER_SUPPLY_STATUS_DISCHARGING);
SETTABLE(voltage_now, 11400000);
SETTABLE(power_now, 7300000);
SETTABLE(energy_now, 28500000);
SETTABLE(energy_full, 50000000);
SETTABLE(current_now, 640000);
SETTABLE(charge_now, 2500000);
SETTABLE(charge_full, 4386000);
SETTABLE(mains_online, 0);

static int get(struct power_supply *supply, enum power_supply_property property, union power_supply_propval *value)
{
	switch (property) {
	case POWER_SUPPLY_PROP_STATUS:
		value->intval = status;
		break;
	case POWER_SUPPLY_PROP_VOLTAGE_NOW:
		value->intval = voltage_now;
		break;
	case POWER_SUPPLY_PROP_POWER_NOW:
		value->intval = power_now;
		break;
	case POWER_SUPPLY_PROP_ENERGY_NOW:
		value->intval = energy_now;
		break;
	case POWER_SUPPLY_PROP_ENERGY_FULL:
		value->intval = energy_full;
		break;
	case POWER_SUPPLY_PROP_CURRENT_NOW:
		value->intval = current_now;
		break;
	case POWER_SUPPLY_PROP_CHARGE_NOW:
		value->intval = charge_now;
		break;
	case POWER_SUPPLY_PROP_CHARGE_FULL:
		value->intval = charge_full;
		break;
	case POWER_SUPPLY_PROP_ONLINE:
		value->intval = mains_online;
		break;
	case POWER_SUPPLY_PROP_PRESENT:
		value->intval = 1;
		break;
	default:
		return -EINVAL;
	}
	return value->intval == INT_MIN ? -ENODATA : 0;
}

static enum power_supply_property in_energy[] = {
	POWER_SUPPLY_PROP_STATUS,    POWER_SUPPLY_PROP_PRESENT,    POWER_SUPPLY_PROP_VOLTAGE_NOW,
	POWER_SUPPLY_PROP_POWER_NOW, POWER_SUPPLY_PROP_ENERGY_NOW, POWER_SUPPLY_PROP_ENERGY_FULL,
};
static enum power_supply_property in_charge[] = {
	POWER_SUPPLY_PROP_STATUS,      POWER_SUPPLY_PROP_PRESENT,    POWER_SUPPLY_PROP_VOLTAGE_NOW,
	POWER_SUPPLY_PROP_CURRENT_NOW, POWER_SUPPLY_PROP_CHARGE_NOW, POWER_SUPPLY_PROP_CHARGE_FULL,
};
static enum power_supply_property of_mains[] = { POWER_SUPPLY_PROP_ONLINE };

static const struct power_supply_desc described[] = {
	{ "BAT0", POWER_SUPPLY_TYPE_BATTERY, .properties = in_energy, .num_properties = ARRAY_SIZE(in_energy), .get_property = get },
	{ "BAT1", POWER_SUPPLY_TYPE_BATTERY, .properties = in_charge, .num_properties = ARRAY_SIZE(in_charge), .get_property = get },
	{ "AC0", POWER_SUPPLY_TYPE_MAINS, .properties = of_mains, .num_properties = ARRAY_SIZE(of_mains), .get_property = get },
};
static struct power_supply *supplies[ARRAY_SIZE(described)];

static void stop(void)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(supplies); i++)
		if (!IS_ERR_OR_NULL(supplies[i]))
			power_supply_unregister(supplies[i]);
}

static int __init start(void)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(described); i++) {
		supplies[i] = power_supply_register(NULL, &described[i], NULL);
		if (IS_ERR(supplies[i])) {
			stop();
			return PTR_ERR(supplies[i]);
		}
	}
	return 0;
}

module_init(start);
module_exit(stop);
MODULE_LICENSE("Dual MIT/GPL");
MODULE_DESCRIPTION("settable batteries for tests");
