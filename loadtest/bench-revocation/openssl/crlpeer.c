/*
 * crlpeer CRL CA HITS MISSES LEAST
 *
 * Reads a CRL (DER), verifies it with the CA's key (PEM) and looks serial numbers
 * up, as OpenSSL does within a handshake. HITS and MISSES are files of serial
 * numbers, 16 octets each; they are looked up in turn, after some that are not
 * counted, until that has had LEAST nanoseconds of CPU time.
 *
 * Writes "answered" once one of either file has been looked up rightly, then a
 * measurement as JSON.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

enum { SERIAL = 16, BLOCK = 1 << 12 };

static void fail(const char *what, const char *name)
{
	fprintf(stderr, "%s %s\n", what, name);
	ERR_print_errors_fp(stderr);
	exit(1);
}

static int64_t wall_ns(void)
{
	struct timespec t;
	if (clock_gettime(CLOCK_MONOTONIC, &t) != 0)
		fail("read", "clock");
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int64_t cpu_ns(void)
{
	struct rusage u;
	if (getrusage(RUSAGE_SELF, &u) != 0)
		fail("read", "resource usage");
	return ((int64_t)u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000000 +
	       ((int64_t)u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1000;
}

/* The most that this process ever had resident. ru_maxrss would count what the
 * parent had at the time of fork. */
static int64_t peak_bytes(void)
{
	char line[256];
	int64_t kib = 0;
	FILE *f = fopen("/proc/self/status", "r");
	if (f == NULL)
		fail("open", "/proc/self/status");
	while (fgets(line, sizeof line, f) != NULL)
		if (sscanf(line, "VmHWM: %" SCNd64, &kib) == 1)
			break;
	fclose(f);
	return kib * 1024;
}

/* The first most serial numbers of a file, or all. */
static ASN1_INTEGER **read_serials(const char *name, size_t most, size_t *count)
{
	unsigned char octets[SERIAL];
	size_t n = 0, room = 0;
	ASN1_INTEGER **all = NULL;
	FILE *f = fopen(name, "rb");
	if (f == NULL)
		fail("open", name);
	while (n < most && fread(octets, SERIAL, 1, f) == 1) {
		if (n == room) {
			room = room == 0 ? 1024 : 2 * room;
			all = realloc(all, room * sizeof *all);
			if (all == NULL)
				fail("hold", name);
		}
		all[n] = ASN1_INTEGER_new();
		if (all[n] == NULL || !ASN1_STRING_set(all[n], octets, SERIAL))
			fail("hold", name);
		n++;
	}
	fclose(f);
	if (n == 0)
		fail("find a serial number in", name);
	*count = n;
	return all;
}

static int listed(X509_CRL *crl, ASN1_INTEGER *serial)
{
	X509_REVOKED *entry;
	return X509_CRL_get0_by_serial(crl, &entry, serial) == 1;
}

static void look_up(const char *kind, X509_CRL *crl, const char *name, int64_t least)
{
	size_t count, i, next = 0, to;
	int64_t asked = 0, found = 0, wall, cpu, start_wall, start_cpu;
	ASN1_INTEGER **serials = read_serials(name, SIZE_MAX, &count);

	for (i = 0; i < count && i < BLOCK; i++)
		found += listed(crl, serials[i]);
	found = 0;
	start_wall = wall_ns();
	start_cpu = cpu_ns();
	do {
		to = count - next < BLOCK ? count : next + BLOCK;
		for (i = next; i < to; i++)
			found += listed(crl, serials[i]);
		asked += to - next;
		next = to == count ? 0 : to;
		wall = wall_ns() - start_wall;
		cpu = cpu_ns() - start_cpu;
	} while (cpu < least);
	printf(",\"%s\":{\"asked\":%" PRId64 ",\"found\":%" PRId64 ",\"cpu_ns\":%" PRId64 ",\"wall_ns\":%" PRId64 "}",
	       kind, asked, found, cpu, wall);
}

int main(int argc, char **argv)
{
	size_t one;
	int64_t start_wall = wall_ns(), start_cpu = cpu_ns();
	if (argc != 6) {
		fprintf(stderr, "usage: crlpeer CRL CA HITS MISSES LEAST\n");
		return 2;
	}
	BIO *in = BIO_new_file(argv[2], "r");
	X509 *ca = in == NULL ? NULL : PEM_read_bio_X509(in, NULL, NULL, NULL);
	if (ca == NULL)
		fail("read CA", argv[2]);
	BIO_free(in);

	in = BIO_new_file(argv[1], "rb");
	X509_CRL *crl = in == NULL ? NULL : d2i_X509_CRL_bio(in, NULL);
	if (crl == NULL)
		fail("read CRL", argv[1]);
	BIO_free(in);
	if (X509_CRL_verify(crl, X509_get0_pubkey(ca)) != 1)
		fail("verify", argv[1]);
	/* The first look-up sorts the entries. */
	if (!listed(crl, read_serials(argv[3], 1, &one)[0]) || listed(crl, read_serials(argv[4], 1, &one)[0]))
		fail("answer rightly about", argv[1]);
	puts("answered");
	fflush(stdout);

	printf("{\"library\":\"%s\",\"load_wall_ns\":%" PRId64 ",\"load_cpu_ns\":%" PRId64 ",\"peak_bytes\":%" PRId64,
	       OpenSSL_version(OPENSSL_VERSION), wall_ns() - start_wall, cpu_ns() - start_cpu, peak_bytes());
	look_up("miss", crl, argv[4], strtoll(argv[5], NULL, 10));
	look_up("hit", crl, argv[3], strtoll(argv[5], NULL, 10));
	puts("}");
	return 0;
}
