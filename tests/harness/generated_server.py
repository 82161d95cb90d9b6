# SPDX-License-Identifier: Apache-2.0
"""A CORBA server made up on the spot: names, operations and locks that nobody can have prepared
for.

From a seed come an IDL interface with random names and a server in which each operation takes a
number of application locks of its own, some nested, some through std::mutex and some through
pthread calls. It is compiled with omniidl and g++ as any user would.
"""
import random
import string
import subprocess

OPERATIONS = 4


class GeneratedServer:
    """After build(): `program`, `key`, and `operations`, {name: lock acquisitions of one call}."""

    def __init__(self, directory, seed):
        self.directory, self.chance = directory, random.Random(seed)
        self.module, self.interface, self.key = (self.name() for _ in range(3))
        self.operations = {self.name(): self.chance.randrange(0, 4) for _ in range(OPERATIONS)}
        self.operations[self.name()] = 0  # one that takes no lock at all
        self.program = directory / self.name()

    def name(self):
        return self.chance.choice("pqrstuvw") + "".join(
            self.chance.choice(string.ascii_lowercase) for _ in range(7))

    def idl(self):
        body = "\n".join(f"    long {name}(in long number);" for name in self.operations)
        return f"module {self.module} {{\n  interface {self.interface} {{\n{body}\n  }};\n}};\n"

    def operation_source(self, name, locks):
        lines, closing = [], []
        for lock in range(locks):
            if self.chance.random() < 0.5:
                lines.append(f"    std::lock_guard<std::mutex> hold_{lock}(first_[{lock}]);")
            else:
                lines.append(f"    pthread_mutex_lock(&second_[{lock}]);")
                closing.append(f"    pthread_mutex_unlock(&second_[{lock}]);")
        return "\n".join([f"  CORBA::Long {name}(CORBA::Long number) override {{", *lines,
                          "    const CORBA::Long answer = number + 1;", *reversed(closing),
                          "    return answer;", "  }"])

    def source(self):
        operations = "\n".join(self.operation_source(*each) for each in self.operations.items())
        return f"""
#include <pthread.h>
#include <mutex>
#include "generated.hh"
class Servant : public POA_{self.module}::{self.interface} {{
 public:
{operations}
 private:
  std::mutex first_[8];
  pthread_mutex_t second_[8] = {{
    PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER,
    PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER,
    PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER}};
}};
int main(int argc, char** argv) {{
  CORBA::ORB_var orb = CORBA::ORB_init(argc, argv);
  CORBA::Object_var object = orb->resolve_initial_references("omniINSPOA");
  PortableServer::POA_var poa = PortableServer::POA::_narrow(object);
  PortableServer::ObjectId_var id = PortableServer::string_to_ObjectId("{self.key}");
  poa->activate_object_with_id(id, new Servant);
  PortableServer::POAManager_var manager = poa->the_POAManager();
  manager->activate();
  orb->run();
}}
"""

    def build(self):
        (self.directory / "generated.idl").write_text(self.idl())
        (self.directory / "server.cpp").write_text(self.source())
        flags = subprocess.run(["pkg-config", "--cflags", "--libs", "omniORB4"],
                               capture_output=True, text=True, check=True).stdout.split()
        for command in (["omniidl", "-bcxx", "generated.idl"],
                        ["g++", "-O1", "-w", "-o", str(self.program), "server.cpp",
                         "generatedSK.cc", *flags, "-lpthread"]):
            subprocess.run(command, cwd=self.directory, check=True, timeout=200)
        return self
