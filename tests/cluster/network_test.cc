// The address that other hosts reach this one by.
#include "cluster/network.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace regatta {
namespace {

using testing::HasSubstr;

TEST(AddressFor, WithoutOtherHostsTheLoopbackInterfaceDoes) {
  const auto address = address_for({});
  ASSERT_TRUE(address.ok());
  EXPECT_EQ(*address, "127.0.0.1");
  const auto itself = address_for({"127.0.0.1", "localhost"});
  ASSERT_TRUE(itself.ok());
  EXPECT_EQ(*itself, "127.0.0.1");
}

TEST(AddressFor, AnInterfaceIsTakenByNameAndByNetwork) {
  for (const char* loopback : {"lo", "127.0.0.0/8", "127.0.0.1/32"}) {
    const auto address = address_for({}, loopback);
    ASSERT_TRUE(address.ok()) << loopback;
    EXPECT_EQ(*address, "127.0.0.1") << loopback;
  }
}

TEST(AddressFor, AnInterfaceThatIsNotThereIsToldWithThoseThatAre) {
  for (const char* missing : {"nowhere7", "203.0.113.0/24", "10.0.0.0/99"}) {
    const auto address = address_for({}, missing);
    ASSERT_FALSE(address.ok()) << missing;
    EXPECT_THAT(address.error().message, HasSubstr(missing));
    EXPECT_THAT(address.error().message, HasSubstr("lo (127.0.0.1)"));
  }
}

TEST(ListeningAddress, IsLoopbackAllAnAddressOrAnInterfaceOfThisHost) {
  EXPECT_EQ(*listening_address("loopback"), "127.0.0.1");
  EXPECT_EQ(*listening_address("all"), "0.0.0.0");
  EXPECT_EQ(*listening_address("lo"), "127.0.0.1");
  EXPECT_EQ(*listening_address("127.0.0.1"), "127.0.0.1");
  EXPECT_EQ(*listening_address("127.0.0.0/8"), "127.0.0.1");
}

TEST(ListeningAddress, ThatThisHostDoesNotHaveIsRefusedWithThoseThatItHas) {
  for (const char* missing : {"203.0.113.5", "ib7", "everywhere"}) {
    const auto address = listening_address(missing);
    ASSERT_FALSE(address.ok()) << missing;
    EXPECT_THAT(address.error().message, HasSubstr("resources.listen"));
    EXPECT_THAT(address.error().message, HasSubstr("lo (127.0.0.1)"));
  }
}

TEST(CoordinatorAddress, IsWhereTheFileSaysAndElseNothingBeyondLoopback) {
  EXPECT_EQ(*coordinator_address({}), "127.0.0.1");
  EXPECT_EQ(*coordinator_address({.listen = "all"}), "0.0.0.0");
}

TEST(CoordinatorAddress, IsNotOnLoopbackWhereTheCrewsAreOnOtherHosts) {
  EXPECT_EQ(*coordinator_address({.listen = "loopback"}), "127.0.0.1");
  EXPECT_EQ(*coordinator_address({.listen = "loopback", .address = "10.77.0.1"}), "10.77.0.1");
}

TEST(Interfaces, AreFoundByNameAndByNetworkAmongThoseOfAnyHost) {
  const std::vector<NetworkInterface> there = {{.name = "lo", .address = "127.0.0.1"},
                                               {.name = "eth0", .address = "10.0.0.7"}};
  EXPECT_EQ(find_interface(there, "eth0", "a")->address, "10.0.0.7");
  EXPECT_EQ(find_interface(there, "10.0.0.0/24", "a")->name, "eth0");
  const auto missing = find_interface(there, "eth1", "a");
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.error().message,
            "host a has no network interface 'eth1' with an IPv4 address (did you mean 'eth0'?); it has lo "
            "(127.0.0.1) "
            "or eth0 (10.0.0.7)");
}

TEST(AddressFor, AHostThatCannotBeFoundIsNamed) {
  const auto address = address_for({"no-such-host.invalid"});
  ASSERT_FALSE(address.ok());
  EXPECT_THAT(address.error().message, HasSubstr("host no-such-host.invalid cannot be found"));
}

}  // namespace
}  // namespace regatta
