// SPDX-License-Identifier: Apache-2.0
//
// A CORBA server without any interface of its own: one object under a key in omniORB's INS adapter,
// which answers what every object answers (_non_existent). In a shared object, so that its
// references to the ORB can be intercepted by the test that loads it.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <omniORB4/CORBA.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

namespace {

class Probe : public PortableServer::ServantBase {
 public:
  // What a generated skeleton has. _do_this is what its _this() calls.
  CORBA::Object_ptr this_reference() {
    return static_cast<CORBA::Object_ptr>(_do_this(CORBA::Object::_PD_repoId));
  }

 private:
  void* _ptrToInterface(const char* repository_id) override {
    return omni::strMatch(repository_id, CORBA::Object::_PD_repoId) ? this : nullptr;
  }
  const char* _mostDerivedRepoId() override { return CORBA::Object::_PD_repoId; }
};

CORBA::ORB_var orb;

int free_port() {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  int port = -1;
  if (bind(fd, reinterpret_cast<sockaddr*>(&address), length) == 0 &&
      getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) == 0) {
    port = ntohs(address.sin_port);
  }
  close(fd);
  return port;
}

PortableServer::POA_var adapter(const char* name) {
  const CORBA::Object_var object = orb->resolve_initial_references(name);
  return PortableServer::POA::_narrow(object);
}

}  // namespace

extern "C" int probe_server_start(const char* object_key) {
  const int port = free_port();
  const std::string endpoint = "giop:tcp:127.0.0.1:" + std::to_string(port);
  const char* options[][2] = {{"endPoint", endpoint.c_str()}, {nullptr, nullptr}};
  int argument_count = 0;
  orb = CORBA::ORB_init(argument_count, nullptr, "omniORB4", options);
  const PortableServer::POA_var ins = adapter("omniINSPOA");
  const PortableServer::ObjectId_var id = PortableServer::string_to_ObjectId(object_key);
  ins->activate_object_with_id(id, new Probe);
  const PortableServer::POAManager_var manager = ins->the_POAManager();
  manager->activate();
  return port;
}

extern "C" void probe_server_use_table() {
  omni_semaphore gate(1);
  gate.wait();
  gate.post();
  const PortableServer::POA_var root = adapter("RootPOA");
  CORBA::PolicyList policies;
  policies.length(1);
  policies[0] = root->create_thread_policy(PortableServer::SINGLE_THREAD_MODEL);
  const PortableServer::POAManager_var manager = root->the_POAManager();
  const PortableServer::POA_var single = root->create_POA("single", manager, policies);

  auto* probe = new Probe;
  const PortableServer::ObjectId_var id = single->activate_object(probe);
  probe->_add_ref();  // it outlives its deactivation for _remove_ref below
  const CORBA::Object_var reference = probe->this_reference();
  const PortableServer::ObjectId_var same = single->servant_to_id(probe);
  single->deactivate_object(id);
  try {
    single->deactivate_object(id);
  } catch (const PortableServer::POA::ObjectNotActive&) {
  }
  probe->_remove_ref();
  probe->_remove_ref();
}

extern "C" void probe_server_stop() {
  orb->destroy();
  orb = CORBA::ORB::_nil();
}
