package main

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

//go:embed openssl/crlpeer.c
var crlpeerSource string

// compilePeer compiles the C program into dir. missing says what the machine
// lacks for that; the path is empty then.
func compilePeer(ctx context.Context, dir string) (path, missing string, err error) {
	compiler, err := exec.LookPath("gcc")
	if err != nil {
		return "", "gcc is not installed (Debian: gcc, libc6-dev, libssl-dev)", nil
	}
	if _, err := compile(ctx, compiler, "#include <openssl/x509.h>\n", "-E", "-o", os.DevNull); err != nil {
		return "", "OpenSSL's headers are not installed (Debian: libssl-dev)", nil
	}
	path = filepath.Join(dir, "crlpeer")
	if out, err := compile(ctx, compiler, crlpeerSource, "-O2", "-Wall", "-Wextra", "-Werror", "-o", path, "-x", "none", "-lcrypto"); err != nil {
		return "", "", fmt.Errorf("compile crlpeer.c: %w\n%s", err, out)
	}
	return path, "", nil
}

// compile hands C to the compiler with these arguments behind.
func compile(ctx context.Context, compiler, source string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, compiler, append([]string{"-x", "c", "-"}, args...)...)
	cmd.Stdin = strings.NewReader(source)
	out, err := cmd.CombinedOutput()
	return bytes.TrimSpace(out), err
}
