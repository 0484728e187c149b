package protocol

// Bits of a message's SysFlag, RocketMQ's class MessageSysFlag.
const (
	SysCompressed  int32 = 1 << 0
	SysMultiTags   int32 = 1 << 1
	SysPrepared    int32 = 1 << 2 // first half of a transaction
	SysCommitted   int32 = 2 << 2
	SysRolledBack  int32 = 3 << 2
	SysTransaction int32 = 3 << 2 // mask of the three above; 0 is no transaction
	SysBornV6      int32 = 1 << 4
	SysStoreV6     int32 = 1 << 5
	SysNeedUnwrap  int32 = 1 << 6 // with SysInnerBatch: the body is a batch that the consumer takes apart
	SysInnerBatch  int32 = 1 << 7
	SysLZ4         int32 = 1 << 8
	SysZstd        int32 = 2 << 8
	SysZlib        int32 = 3 << 8 // 0 means zlib too: messages of 4.x carry no type
	SysCompression int32 = 7 << 8 // mask of the type of compression
)
