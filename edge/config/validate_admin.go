package config

// maxSocketPath is what fits into sockaddr_un with the zero byte behind it.
const maxSocketPath = 107

func (v *validator) admin() {
	v.needed("state_dir", v.c.StateDir != "", "a directory")
	a := v.c.Admin
	v.adminListener()
	v.needed("admin.socket", a.Socket != "", "the name of a unix socket")
	if name := v.c.ResolvePath(a.Socket); len(name) > maxSocketPath {
		v.errorf("admin.socket", "%s: want at most %d bytes, got %d", quote(name), maxSocketPath, len(name))
	}
	if _, ok := socketAddress(a.Metrics); a.Metrics != "" && !ok {
		v.errorf("admin.metrics", "%s: want HOST:PORT or :PORT, with an IP address for HOST", quote(a.Metrics))
	}
}
