"""A certificate authority of a test's own, made by openssl."""

import subprocess


class Authority:
    """Signs certificates, in a directory of its own."""

    def __init__(self, directory, name="ca"):
        self.directory, self.name = directory, name
        directory.mkdir(parents=True, exist_ok=True)
        self.key, self.certificate = directory / f"{name}.key", directory / f"{name}.pem"
        self._openssl("req", "-x509", *self._new_key(self.key), "-days", "2", "-subj", f"/CN={name}", "-out", self.certificate)

    @staticmethod
    def _new_key(path):
        return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", path]

    @staticmethod
    def _openssl(*argv):
        done = subprocess.run(["openssl", *map(str, argv)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    def issue(self, name, names="IP:127.0.0.1,DNS:localhost"):
        """(certificate, key) for the names, which are a subjectAltName."""
        certificate, key = self.directory / f"{name}.pem", self.directory / f"{name}.key"
        request, extensions = self.directory / f"{name}.csr", self.directory / f"{name}.ext"
        extensions.write_text(f"subjectAltName={names}\n")
        self._openssl("req", "-new", *self._new_key(key), "-subj", f"/CN={name}", "-out", request)
        self._openssl("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.key, "-CAcreateserial", "-days", "2",
                      "-extfile", extensions, "-out", certificate)
        return certificate, key
