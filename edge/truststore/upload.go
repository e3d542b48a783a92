package truststore

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// compressed ends the file names of uploaded CRLs: half of a CRL is the same in
// every entry, and nobody reads it again once its lists are kept.
const compressed = ".zst"

// staged are the files of uploads on their way, by path: what sweep finds in the
// folder and is not among them was left by a crash.
var staged sync.Map

func stagedNow(path string) bool {
	_, ok := staged.Load(path)
	return ok
}

// upload is a CRL on its way into the folder of uploads.
type upload struct {
	dir    versionDir
	file   *os.File
	zip    *zstd.Encoder
	digest hash.Hash
	size   int64
}

// stage makes room for an upload. Whoever calls it must call discard.
func (d versionDir) stage() (*upload, error) {
	if err := d.prepare(); err != nil {
		return nil, err
	}
	f, err := os.CreateTemp(filepath.Join(string(d), uploadDir), "upload-*.tmp") // mode 0600
	if err != nil {
		return nil, err
	}
	staged.Store(f.Name(), true)
	u := &upload{dir: d, file: f, digest: sha256.New()}
	if u.zip, err = zstd.NewWriter(f, zstd.WithEncoderConcurrency(1)); err != nil {
		u.discard()
		return nil, err
	}
	return u, nil
}

// Write adds bytes of the upload.
func (u *upload) Write(p []byte) (int, error) {
	u.digest.Write(p)
	u.size += int64(len(p))
	return u.zip.Write(p)
}

// keep puts the upload into the folder under its digest, which it returns.
func (u *upload) keep() (sum string, err error) {
	if err := u.zip.Close(); err != nil {
		return "", err
	}
	if err := u.file.Sync(); err != nil {
		return "", err
	}
	sum = hex.EncodeToString(u.digest.Sum(nil))
	if err := os.Rename(u.file.Name(), u.dir.uploadPath(sum)); err != nil {
		return "", err
	}
	return sum, syncDir(filepath.Join(string(u.dir), uploadDir))
}

// discard ends the upload; what was not kept is gone.
func (u *upload) discard() {
	u.file.Close()
	os.Remove(u.file.Name()) // not there any more if it was kept
	staged.Delete(u.file.Name())
}

// uploadPath is where the CRL of that digest is.
func (d versionDir) uploadPath(sum string) string {
	return filepath.Join(string(d), uploadDir, sum+compressed)
}

// openUpload gives the bytes of a CRL as they were uploaded. Where those on disk
// are others, reading them ends in an error.
func (d versionDir) openUpload(sum string, size int64) (io.ReadCloser, error) {
	f, err := os.Open(d.uploadPath(sum))
	if err != nil {
		return nil, err
	}
	zip, err := zstd.NewReader(f, zstd.WithDecoderConcurrency(1))
	if err != nil {
		f.Close()
		return nil, err
	}
	return &uploadReader{file: f, zip: zip, digest: sha256.New(), sum: sum, left: size}, nil
}

// uploadReader reads an upload and compares it with its name.
type uploadReader struct {
	file   *os.File
	zip    *zstd.Decoder
	digest hash.Hash
	sum    string
	left   int64 // bytes to come
}

func (r *uploadReader) Read(p []byte) (int, error) {
	n, err := r.zip.Read(p)
	r.digest.Write(p[:n])
	r.left -= int64(n)
	switch {
	case r.left < 0, errors.Is(err, io.EOF) && (r.left != 0 || hex.EncodeToString(r.digest.Sum(nil)) != r.sum):
		return 0, fmt.Errorf("read %s: its bytes are not those that were uploaded, whose SHA-256 is its name", r.file.Name())
	case err != nil && !errors.Is(err, io.EOF):
		return n, fmt.Errorf("read %s: %w", r.file.Name(), err)
	}
	return n, err
}

func (r *uploadReader) Close() error {
	r.zip.Close()
	return r.file.Close()
}
