// A clock that can be stepped and slewed while a program runs: a library to preload, which changes what it is told.
//
// CLOCK_STEP_FILE holds seconds to add to the wall clock, read at every call; CLOCK_SLEPT_FILE seconds that the
// machine was suspended, which the wall clock and CLOCK_BOOTTIME count and CLOCK_MONOTONIC does not. CLOCK_RATE
// multiplies how fast the monotonic clocks run, deadlines included. cc -shared -fPIC -o clock.so clock.c -ldl
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double seconds_in(const char *variable)
{
	const char *path = getenv(variable);
	FILE *file = path ? fopen(path, "r") : NULL;
	double seconds = 0;

	if (file) {
		if (fscanf(file, "%lf", &seconds) != 1)
			seconds = 0;
		fclose(file);
	}
	return seconds;
}

static double rate(clockid_t clock)
{
	const char *text = getenv("CLOCK_RATE");

	return text && (clock == CLOCK_MONOTONIC || clock == CLOCK_BOOTTIME) ? strtod(text, NULL) : 1;
}

static struct timespec scaled(const struct timespec *time, double factor)
{
	long double nanoseconds = (time->tv_sec * 1e9L + time->tv_nsec) * factor;
	struct timespec result = { .tv_sec = nanoseconds / 1e9L };

	result.tv_nsec = nanoseconds - result.tv_sec * 1e9L;
	return result;
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
	static int (*true_gettime)(clockid_t, struct timespec *);

	if (!true_gettime)
		true_gettime = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
	if (true_gettime(clock, now))
		return -1;
	if (clock == CLOCK_REALTIME)
		now->tv_sec += (time_t)seconds_in("CLOCK_STEP_FILE");
	if (clock == CLOCK_REALTIME || clock == CLOCK_BOOTTIME)
		now->tv_sec += (time_t)seconds_in("CLOCK_SLEPT_FILE");
	*now = scaled(now, rate(clock));
	return 0;
}

int clock_nanosleep(clockid_t clock, int flags, const struct timespec *until, struct timespec *left)
{
	static int (*true_nanosleep)(clockid_t, int, const struct timespec *, struct timespec *);
	struct timespec true_until = scaled(until, flags & TIMER_ABSTIME ? 1 / rate(clock) : 1);

	if (!true_nanosleep)
		true_nanosleep = (int (*)(clockid_t, int, const struct timespec *, struct timespec *))dlsym(RTLD_NEXT, "clock_nanosleep");
	return true_nanosleep(clock, flags, &true_until, left);
}
