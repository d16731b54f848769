#!/bin/bash
# stock-ironic.sh LAB_NAME [RAMDISK_FOLDER] - OpenStack's own Ironic as the server in a lab that is up (cargo xtask lab up).
#
# Runs in the foreground until interrupted: Ironic (all in one process, no login, SQLite) on http://172.22.0.1:7385, nginx for its
# boot files, dnsmasq for DHCP and TFTP, all inside the lab's network namespace. Then, from another terminal:
#
#   cargo xtask drive --name LAB_NAME --api http://172.22.0.1:7385
#
# proves that the agent of this tree works with it. RAMDISK_FOLDER holds vmlinuz and initramfs (default: the `cloud` ramdisk).
# Needs, beyond `cargo xtask setup`: the Debian packages dnsmasq-base and nginx-light; Ironic itself is installed from PyPI.
set -eu
NAME=${1:?name of the lab} ROOT=${WROUGHT_LAB:-/var/tmp/wrought-lab}
RAMDISK=${2:-$ROOT/ramdisk/cloud} VENV=$ROOT/ironic-venv GW=172.22.0.1 RUN=$ROOT/run/$NAME/ironic
[ -x "$VENV/bin/ironic" ] || { python3 -m venv "$VENV"; "$VENV/bin/pip" install -q ironic==39.0.0 sushy; }
export PATH=$VENV/bin:$PATH
mkdir -p "$RUN"/{state,tmp,tftpboot,images,httpboot,deploy-logs}
ln -sfn "$RAMDISK" "$RUN/httpboot/ramdisk"
cp /usr/lib/ipxe/{undionly.kpxe,snponly.efi,ipxe.efi} "$RUN/tftpboot/"; cp /usr/lib/ipxe/{snponly.efi,ipxe.efi} "$RUN/httpboot/"
cat > "$RUN/ironic.conf" <<X
[DEFAULT]
auth_strategy = noauth
rpc_transport = none
host = lab-conductor
my_ip = $GW
state_path = $RUN/state
log_file = $RUN/ironic.log
debug = true
use_stderr = false
default_resource_class = baremetal
tempdir = $RUN/tmp
enabled_hardware_types = ipmi,redfish
enabled_bios_interfaces = no-bios,redfish
enabled_boot_interfaces = ipxe,redfish-virtual-media
enabled_console_interfaces = no-console
enabled_deploy_interfaces = direct
enabled_firmware_interfaces = no-firmware,redfish
enabled_inspect_interfaces = no-inspect,agent,redfish
enabled_management_interfaces = ipmitool,redfish,noop
enabled_network_interfaces = noop
enabled_power_interfaces = ipmitool,redfish
enabled_raid_interfaces = no-raid,agent
enabled_rescue_interfaces = no-rescue,agent
enabled_storage_interfaces = noop
enabled_vendor_interfaces = no-vendor,ipmitool,redfish
default_network_interface = noop
default_boot_interface = ipxe
default_inspect_interface = agent
[api]
host_ip = $GW
port = 7385
api_workers = 1
[service_catalog]
endpoint_override = http://$GW:7385
[conductor]
automated_clean = true
# Otherwise it unpacks the initramfs when it caches it, and machines load three times as much.
disable_zstandard_decompression = true
sync_power_state_interval = 60
deploy_kernel = http://$GW:8081/ramdisk/vmlinuz
deploy_ramdisk = http://$GW:8081/ramdisk/initramfs
[database]
connection = sqlite:///$RUN/ironic.sqlite
[deploy]
http_root = $RUN/httpboot
http_url = http://$GW:8081
erase_devices_priority = 0
erase_devices_metadata_priority = 10
[pxe]
tftp_root = $RUN/tftpboot
tftp_master_path = $RUN/tftpboot/master_images
images_path = $RUN/images
instance_master_path = $RUN/images/master
kernel_append_params = console=ttyS0 ipa-insecure=1
[redfish]
kernel_append_params = console=ttyS0 ipa-insecure=1
[agent]
image_download_source = http
deploy_logs_local_path = $RUN/deploy-logs
[dhcp]
dhcp_provider = none
[json_rpc]
auth_strategy = noauth
X
cat > "$RUN/nginx.conf" <<X
daemon off; pid $RUN/nginx.pid; error_log $RUN/nginx.err; worker_processes 1; user root;
events {}
http { access_log $RUN/http.log; sendfile on; client_body_temp_path $RUN/ngx; server { listen $GW:8081; root $RUN/httpboot; } }
X
cat > "$RUN/dnsmasq.conf" <<X
port=0
interface=br-prov
bind-interfaces
dhcp-range=172.22.0.100,172.22.0.200,255.255.255.0,1h
dhcp-authoritative
no-ping
log-dhcp
leasefile-ro
user=root
log-facility=$RUN/dnsmasq.log
enable-tftp
tftp-root=$RUN/tftpboot
dhcp-match=set:ipxe,175
dhcp-match=set:efi,option:client-arch,7
dhcp-match=set:efi,option:client-arch,9
dhcp-boot=tag:ipxe,http://$GW:8081/boot.ipxe
dhcp-boot=tag:!ipxe,tag:efi,snponly.efi
dhcp-boot=tag:!ipxe,tag:!efi,undionly.kpxe
X
inside() { ip netns exec "$NAME" "$@" & pids+=($!); }
pids=(); trap 'kill "${pids[@]}" 2>/dev/null; wait' EXIT
trap exit INT TERM
[ -e "$RUN/ironic.sqlite" ] || ironic-dbsync --config-file "$RUN/ironic.conf" create_schema
inside nginx -c "$RUN/nginx.conf"
inside dnsmasq -k -C "$RUN/dnsmasq.conf"
inside ironic --config-file "$RUN/ironic.conf"
echo "log: $RUN/ironic.log"
wait -n
