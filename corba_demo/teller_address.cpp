// SPDX-License-Identifier: Apache-2.0
#include "teller_address.h"

#include <stdexcept>

namespace bank {

std::string teller_uri(const std::string& address) {
  for (const std::string scheme : {"corbaloc::", "corbaloc:iiop:"}) {
    if (address.rfind(scheme, 0) == 0) {
      const bool has_version = address.find('@') != std::string::npos;
      return has_version ? address : scheme + "1.2@" + address.substr(scheme.size());
    }
  }
  const size_t colon = address.find(':');
  const bool is_host_and_port =
      colon != std::string::npos && colon + 1 < address.size() &&
      address.size() - colon <= 6 &&  // an IOR may be all digits too, but not five of them
      address.find_first_not_of("0123456789", colon + 1) == std::string::npos;
  return is_host_and_port ? "corbaloc::1.2@" + address + "/Bank" : address;
}

Bank::Teller_ptr find_teller(CORBA::ORB_ptr orb, const std::string& address) {
  const CORBA::Object_var object = orb->string_to_object(teller_uri(address).c_str());
  Bank::Teller_var teller = Bank::Teller::_narrow(object);
  if (CORBA::is_nil(teller)) throw std::runtime_error("no Teller at " + address);
  return teller._retn();
}

}  // namespace bank
