// Ask for storage commitment as a modality built on dcmjs-dimse does.
//
// node commitment.js PORT TRANSACTION_UID < [[SOP class, SOP instance], ...]
// prints 'status', and the DIMSE status in hexadecimal.

const { Client, Dataset, constants, requests } = require('dcmjs-dimse');
const { readFileSync } = require('fs');

const [port, transaction] = process.argv.slice(2);
const objects = JSON.parse(readFileSync(0, 'utf8'));
const request = new requests.NActionRequest(
  constants.SopClass.StorageCommitmentPushModel, '1.2.840.10008.1.20.1.1', 1
);
request.setDataset(new Dataset({
  TransactionUID: transaction,
  ReferencedSOPSequence: objects.map(([sopClass, sopInstance]) => ({
    ReferencedSOPClassUID: sopClass, ReferencedSOPInstanceUID: sopInstance,
  })),
}));
request.on('response', (response) => console.log('status ' + response.getStatus().toString(16).padStart(4, '0')));
const client = new Client();
client.on('networkError', (error) => { console.error(error); process.exit(1); });
client.addRequest(request);
client.send('127.0.0.1', Number(port), 'CAM1', 'PHOTOPEAK');
